"""What the client files share: how a flow says that its client cannot do it."""


class Lacks(Exception):
    """The client has no such flow; the text says so in the table's footnotes."""


# The columns of the table, in the order in which flows run. Every client has a method for each.
FLOWS = ("register", "issue", "renew", "revoke_by_account", "revoke_by_key", "key_rollover", "deactivate")
