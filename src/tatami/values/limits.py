"""Every limit in one place, with its unit in its name and its reason beside it."""

PATH_BYTES_MAX = 4096
"""PATH_MAX of Linux; longer names cannot be checked out."""
PATH_COMPONENT_BYTES_MAX = 255
"""NAME_MAX of every file system we support."""
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""git has no limit; a message of 1 MiB is legal, one of many is an accident."""
COMMIT_PATHS_MAX = 100_000
"""A vendored dependency tree fits; a swept `node_modules` is caught by the warning before."""
SWEEP_PATHS_WARN = 500
"""More new untracked files than this in one snapshot is usually an ignored folder missed."""
FILE_BYTES_MAX = 512 * 1024 * 1024
"""One file of a commit; bigger ones belong to git-lfs."""
LINK_BYTES_MAX = 4095
"""Target of a symbolic link: PATH_MAX of Linux counts the NUL behind it."""
FRAME_BYTES_MAX = 1024 * 1024 * 1024
"""One request with all its files; the socket is local and the peer is the same user."""
COMMIT_BYTES_MAX = FRAME_BYTES_MAX - 64 * 1024 * 1024
"""Contents of one commit; the rest of its frame is the header with paths and sizes."""
HEADER_BYTES_MAX = 64 * 1024 * 1024
"""The JSON part of a frame: 100 000 paths of 4 KiB never come near, and log answers fit."""
AGENT_NAME_CHARS_MAX = 64
"""Part of a branch name, a directory name and every table row."""
BATCH_BYTES_MAX = 64 * 1024 * 1024
"""New content in one group commit, so that one large file does not delay many small ones."""
ANSWERS_KEPT_PER_CLIENT = 256
"""Answers kept to resend; a client has at most a few requests without an answer."""
CLIENTS_KEPT = 20_000
"""Clients whose answers are kept: every run of a verb is one, and resends within two minutes."""
EVENTS_KEPT = 100_000
"""Events a late subscriber can still read; older cursors are refused with `expired`."""
SUBSCRIBER_QUEUE_MAX = 10_000
"""Events waiting for one slow subscriber before it is cut off."""
HUB_IDLE_SECONDS = 600.0
"""A hub nobody talks to stops after this long."""
OVERLAY_FILES_MIN = 2_000
"""Writing fewer files takes less time than a mount is worth to know about."""
