import jinja2
import pytest

from cbir.report import rendering


def test_values_are_escaped_and_made_visible() -> None:
    template = rendering.environment().from_string('<p title="{{ name }}">{{ name }}</p>')
    assert template.render(name='<b>"\n') == r'<p title="&lt;b&gt;&#34;\n">&lt;b&gt;&#34;\n</p>'
    with pytest.raises(jinja2.UndefinedError):
        template.render()
