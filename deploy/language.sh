# Sourced by ./run and ./test. Defines say: it writes a text in the shell's language.

# The first of these that is set decides, as for every program.
language=${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}

# say ENGLISH INDONESIAN
say() {
    case $language in
        id | id[_.@]*) printf '%s\n' "$2" ;;
        *) printf '%s\n' "$1" ;;
    esac
}
