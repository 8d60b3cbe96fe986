#!/bin/sh
# Prints a Python that can make the virtual environment, or says what to install.
#
# Order: $PYTHON if set; the Python that .venv was made from, so that runs agree; then the newest on PATH
# of those that the packages are known to install on. Every candidate is *run*: version managers leave
# commands on PATH that only print an error.
set -u

needed="3.11"
good='import sys; sys.exit(sys.version_info < (3, 11))'
able='import ensurepip, venv; ensurepip.version'
base='import sys; print(getattr(sys, "_base_executable", "") or sys.executable)'
version='import sys; print("%d.%d.%d" % sys.version_info[:3])'

refuse() { # what code expected found fix
    printf '%s [%s]\n  expected: %s\n  found:    %s\n  fix:      %s\n' "$1" "$2" "$3" "$4" "$5" >&2
    exit 1
}

venv_advice() { # version number, e.g. 3.11.2
    short="${1%.*}"
    printf '%s' "install the venv module: \`apt install python${short}-venv\` (Debian, Ubuntu), or a Python from python.org, your package manager or \`uv python install\`, and name it: make PYTHON=/path/to/python3"
}

if [ -n "${PYTHON:-}" ]; then
    "$PYTHON" -c "$good" 2>/dev/null || refuse "PYTHON cannot be used" python_unsuitable \
        "a Python $needed or newer that starts" \
        "$PYTHON: $("$PYTHON" -c "$version" 2>/dev/null || echo 'does not start')" \
        "name another one: make PYTHON=/path/to/python3, or leave PYTHON out"
    "$PYTHON" -c "$able" 2>/dev/null || {
        have="$("$PYTHON" -c "$version")"
        refuse "PYTHON cannot make a virtual environment" venv_missing \
            "Python with the modules venv and ensurepip" "$PYTHON ($have) without them" "$(venv_advice "$have")"
    }
    "$PYTHON" -c "$base"
    exit 0
fi

seen=""
without_venv=""
for candidate in .venv/bin/python python3.13 python3.12 python3.11 python3.14 python3 python; do
    path="$(command -v "$candidate" 2>/dev/null)" || continue
    have="$("$path" -c "$version" 2>/dev/null)" || continue
    if ! "$path" -c "$good" 2>/dev/null; then
        seen="$seen${seen:+, }$candidate is $have"
    elif ! "$path" -c "$able" 2>/dev/null; then
        seen="$seen${seen:+, }$candidate ($have) has no venv module"
        without_venv="${without_venv:-$have}"
    else
        "$path" -c "$base"
        exit 0
    fi
done

if [ -n "$without_venv" ]; then
    refuse "Python's venv module is missing" venv_missing \
        "Python $needed or newer with the modules venv and ensurepip" "$seen" "$(venv_advice "$without_venv")"
fi
refuse "no suitable Python was found" python_missing \
    "Python $needed or newer, with its venv module, on PATH" "${seen:-no python3 that starts}" \
    "install one, for example \`apt install python3 python3-venv\` (Debian 12, Ubuntu 24.04 or newer) or \`uv python install 3.13\`, or name one: make PYTHON=/path/to/python3"
