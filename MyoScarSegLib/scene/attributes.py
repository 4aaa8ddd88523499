"""Which nodes of a scene are ours, and to which volume they belong.

A node of ours has the attribute :data:`ROLE`; no other node is ever changed or removed. The volume it belongs to is a node
reference, because references, unlike ids in attributes, stay right when a scene is loaded into another.
"""

from __future__ import annotations

from typing import Any

ROLE = "MyoScarSeg.Role"
VOLUME = "MyoScarSeg.Volume"
BOX_ID = "MyoScarSeg.BoxId"
ROLE_VIEW = "box view"
"""Of the nodes that show boxes in the views."""


def nodes_of(volume_node: Any, role: str) -> list[Any]:
    """Our nodes with this role that belong to a volume, in the order in which they were made."""
    scene = volume_node.GetScene()
    if scene is None:
        return []
    found = []
    for number in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(number)
        if node.GetAttribute(ROLE) == role and node.GetNodeReferenceID(VOLUME) == volume_node.GetID():
            found.append(node)
    return found


def node_of(volume_node: Any, role: str) -> Any:
    """The first of :func:`nodes_of`, None if there is none."""
    found = nodes_of(volume_node, role)
    return found[0] if found else None


def make_node(volume_node: Any, class_name: str, role: str, name: str) -> Any:
    """A new node of ours for a volume, in its scene, with a name of its own."""
    node = volume_node.GetScene().AddNewNodeByClass(class_name, name)
    claim(node, volume_node, role)
    return node


def claim(node: Any, volume_node: Any, role: str) -> None:
    """Make a node ours, and this volume's."""
    node.SetAttribute(ROLE, role)
    node.SetNodeReferenceID(VOLUME, volume_node.GetID())


def volumes_with(scene: Any, role: str) -> list[Any]:
    """The volumes of a scene that have a node of ours with this role, each once."""
    found: list[Any] = []
    for number in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(number)
        if node.GetAttribute(ROLE) == role:
            volume = node.GetNodeReference(VOLUME)
            if volume is not None and volume not in found:
                found.append(volume)
    return found
