"""One failure told to many tasks."""


def copy_error(error: BaseException) -> BaseException:
    """The same error once more: one instance that is raised in many tasks would collect the traceback of each."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    return copy
