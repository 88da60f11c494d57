"""The one error class that is meant for the user's eyes."""


class LlamaError(Exception):
    """One sentence that says what is wrong and what to do about it.

    Commands and rule scripts print the sentence and exit with code 1; the traceback goes
    to the log only. Everything else that is raised is a defect of LLAMA.
    """
