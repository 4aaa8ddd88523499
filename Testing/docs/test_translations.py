"""The template for translators has every text that a user sees in Slicer, under the context in which Slicer looks for it."""

from docs.write_translations import TEMPLATE, template, texts


def test_the_template_is_as_the_code():
    assert TEMPLATE.read_text(encoding="utf-8") == template(), "write it anew: make pages"


def test_texts_have_slicers_contexts():
    found = texts()
    assert "Choose an LGE volume, or load the sample data." in found["scene.guidance"]
    assert "propose boxes" in found["widgets.shortcuts"]
    assert "Propose boxes" in found["MyoScarSeg"], "of the form"
    assert any("late gadolinium" in text for text in found["MyoScarSeg"]), "of the module"
