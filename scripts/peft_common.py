"""What check-with-peft.py and check-lm-with-peft.py share."""
import contextlib, io, logging, sys, warnings


def said_by(call):
    """Whatever is logged, warned or printed while call() runs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(), logging.getLogger("transformers"), logging.getLogger("peft")]
    for logger in loggers:
        logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stderr(stream), contextlib.redirect_stdout(stream):
        warnings.simplefilter("always")
        result = call()
    for logger in loggers:
        logger.removeHandler(handler)
    return result, stream.getvalue() + "".join(str(w.message) + "\n" for w in caught)


def is_close(what, shown, difference):
    """Says how far apart two results are; the limit is 1e-4."""
    print(f"{what}: {shown}", "ok" if difference <= 1e-4 else "TOO MUCH")
    return difference <= 1e-4


def finish(ok):
    print("all good" if ok else "FAILED")
    sys.exit(0 if ok else 1)
