"""A claim of an observer that fails shows its values, as one in a test does."""

import pytest

pytest.register_assert_rewrite("tests.settings.observers")
