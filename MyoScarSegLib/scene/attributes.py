"""Which nodes of a scene are ours, and to which volume they belong.

A node of ours has the attribute :data:`ROLE`; no other node is ever changed or removed. The volume it belongs to is a node
reference, because references, unlike ids in attributes, stay right when a scene is loaded into another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import slicer

ROLE = "MyoScarSeg.Role"
VOLUME = "MyoScarSeg.Volume"
BOX_ID = "MyoScarSeg.BoxId"
ROLE_VIEW = "box view"
"""Of the nodes that show boxes in the views."""


def our_nodes(scene: Any) -> Iterator[tuple[Any, str]]:
    """All nodes of ours in a scene with their roles, in the order in which they were made.

    It goes through the whole scene, so it is for what happens seldom. (``GetNthNode`` would begin at the first node each time.)
    """
    for node in [] if scene is None else list(scene.GetNodes()):
        role = node.GetAttribute(ROLE)
        if role is not None:
            yield node, role


def nodes_of(volume_node: Any, role: str) -> list[Any]:
    """Our nodes with this role that belong to a volume, in the order in which they were made."""
    of_role = (node for node, its_role in our_nodes(volume_node.GetScene()) if its_role == role)
    return [node for node in of_role if node.GetNodeReferenceID(VOLUME) == volume_node.GetID()]


def node_of(volume_node: Any, role: str) -> Any:
    """The first of :func:`nodes_of`, None if there is none."""
    found = nodes_of(volume_node, role)
    return found[0] if found else None


def make_node(volume_node: Any, class_name: str, role: str, name: str, *, hidden: bool = False) -> Any:
    """A new node of ours for a volume, in its scene, with a name of its own.

    ``hidden`` from lists of nodes: they ask when a node is added, so it is hidden before.
    """
    scene = volume_node.GetScene()
    if hidden:
        node = getattr(slicer, class_name)()
        node.SetName(scene.GenerateUniqueName(name))
        node.SetHideFromEditors(True)
        scene.AddNode(node)
    else:
        node = scene.AddNewNodeByClass(class_name, name)
    claim(node, volume_node, role)
    return node


def claim(node: Any, volume_node: Any, role: str) -> None:
    """Make a node ours, and this volume's."""
    node.SetAttribute(ROLE, role)
    node.SetNodeReferenceID(VOLUME, volume_node.GetID())


def nodes_by_class(scene: Any, class_name: str) -> list[Any]:
    """All nodes of a class, whosever they are. (Slicer's own function of this name looks into the application's scene alone.)"""
    return [scene.GetNthNodeByClass(number, class_name) for number in range(scene.GetNumberOfNodesByClass(class_name))]


def volumes_with(scene: Any, role: str) -> list[Any]:
    """The volumes of a scene that have a node of ours with this role, each once."""
    volumes = (node.GetNodeReference(VOLUME) for node, its_role in our_nodes(scene) if its_role == role)
    return list(dict.fromkeys(volume for volume in volumes if volume is not None))
