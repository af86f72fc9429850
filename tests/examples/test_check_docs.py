"""The check of the documents finds commands and options that do not exist."""

from check_docs import check_commands


def test_a_command_and_an_option_that_do_not_exist_are_found_also_behind_a_broken_line() -> None:
    assert check_commands("`standing-network make plan.toml network` and `standing-network key node.key`") == []
    assert check_commands("standing-network mkae plan.toml network") == ["no command `standing-network mkae`"]
    shown = "standing-network make plan.toml \\\n    network --overwrite=yes --help"
    assert check_commands(shown) == ["no option `standing-network make --overwrite`"]
