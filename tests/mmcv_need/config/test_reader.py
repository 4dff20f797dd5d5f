"""Any text in any language gives data or a ConfigError."""
from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mmcv_need.errors import ConfigError

FRAGMENTS = st.sampled_from(['x', 'y', '=', '= ', '[', ']', '(', ')', '{', '}', '{{', '}}', ',', ':', '*', '**', '+',
'-', '%', '//', '1', '2.5', '"a"',
                             "'", '"', 'f"', '\\', '\n', '\n  ', ' ', 'dict(', 'range(', ' for x in ', ' if ',
                             ' else ', 'not ', '_base_', '.model',
                             '{{ _base_.model }}', '{{fileBasename}}', '"{{ _base_.data_root }}"', '#', 'lambda: ',
                             '...', '&a ', '*a', '- ', 'null',
                             '1e999', '9' * 90, '\0', '\ud800', '_base_ = "b.py"\n', 'x = ', 'x += ', 'True', ' in ',
                             ' < ', '\r', '\t', '<<: ', '!!set '])


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(['.py', '.json', '.yaml']), st.text(max_size=60) | st.lists(FRAGMENTS, max_size=30).map(''.join))
def test_any_text_gives_data_or_a_config_error(source, suffix, text):
    try:
        read = source(text, 'configs/x' + suffix)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert all(isinstance(key, str) for key in read.data)
