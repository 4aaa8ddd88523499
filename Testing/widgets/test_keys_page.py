"""The page of the keys is what the panel installs."""

from Testing.support.keys_page import PAGE, keys_page


def test_the_page_lists_the_keys_that_the_panel_installs(module):
    expected = keys_page(module.panel.segment.shortcuts.table())
    assert PAGE.read_text(encoding="utf-8") == expected, "write it anew: make pages"
