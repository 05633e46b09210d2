"""Tries to leave the sandbox:  attempts.py user|root|bomb NAMES CANARY   (both JSON; no names: all)

Prints a JSON object per attempt. See trying.py for what an attempt is.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bombs, filesystem, identity, kernel, namespaces, network, processes  # noqa: E401,F401
import trying

trying.main()
