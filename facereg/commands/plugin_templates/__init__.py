"""The plugins that ``facereg new-plugin`` writes. Each is a working plugin, with its test.

`facereg.commands.new_plugin` puts the user's names in place of ``my-KIND`` (what users call the
component), ``MyKind`` (its class) and ``my_kind`` (its module).
"""
