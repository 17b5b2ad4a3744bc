"""Ask a node whether it answers: exit status 0 if it does, 1 if not. Arguments: host and port."""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

HOST, PORT = "127.0.0.1", 8080
SECONDS = 4


def answers(host: str, port: int) -> bool:
    """Whether the HTTP face of a node says that it is well.

    Args:
        host: Where it listens.
        port: Of its HTTP face.
    """
    connection = HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    given = sys.argv[1:]
    host, port = given or (HOST, str(PORT))
    sys.exit(0 if answers(host, int(port)) else 1)
