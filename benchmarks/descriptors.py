"""How many sockets a process may have."""


def raise_limit() -> int:
    """Raise the limit of open files as far as the system lets us, and return what it is then."""
    try:
        import resource
    except ImportError:  # there is none on Windows that matters here
        return 1 << 16
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20
