#!/bin/sh
# Print the path of the newest Python on the PATH that the project can use; with an argument, a name or a path, look at
# no other. When there is none, say what each that was found lacks, and end with status 1.
#
# A name on the PATH proves nothing: pyenv has one for every version that it ever installed, and Debian's python3 comes
# without what makes a virtual environment. So each is started and asked.
SUPPORTED="3.14 3.13 3.12 3.11"

# Every program on the PATH named $1, one a line; $1 itself when it is a path.
programs() {
    case $1 in
        */*) echo "$1" ;;
        *) echo "$PATH" | tr : '\n' | while IFS= read -r folder; do
            [ ! -x "$folder/$1" ] || echo "$folder/$1"
        done ;;
    esac
}

# What keeps us from using the Python at path $1; nothing when nothing does.
lacks() {
    "$1" - "$SUPPORTED" 2>/dev/null <<'EOF' || echo "does not start"
import platform, sys

version = ".".join(platform.python_version_tuple()[:2])
missing = []
for module in ("bz2", "ensurepip", "ssl", "venv", "zlib"):
    try:
        __import__(module)
    except ImportError:
        missing.append(module)
if version not in sys.argv[1].split() or platform.python_implementation() != "CPython":
    print("is %s %s" % (platform.python_implementation(), version))
elif "ensurepip" in missing:
    print("makes no virtual environments (Debian and Ubuntu: apt install python%s-venv)" % version)
elif missing:
    print("was built without %s" % ", ".join(missing))
EOF
}

[ -n "$1" ] || set -- $(printf 'python%s ' $SUPPORTED) python3
found=""
IFS='
'
for name; do
    for python in $(programs "$name"); do
        lack=$(lacks "$python")
        [ -n "$lack" ] || { echo "$python"; exit; }
        found="$found  $python $lack
"
    done
done
echo "Python ${SUPPORTED##* } to ${SUPPORTED%% *} is needed. Install one, or name it: make PYTHON=/path/to/python3" >&2
[ -z "$found" ] || printf 'None of these will do:\n%s' "$found" >&2
exit 1
