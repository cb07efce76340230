# bash completion for httpacct(8)

_httpacct() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local options='-c --config -i --interface -r --read -t --test --print --interval
                   --socket --json --pid -v --verbose -V --version -h --help'
    local word command=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $word in
            status | reload | rules | top) command=$word ;;
        esac
    done

    case $previous in
        -c | --config | -r | --read | --socket)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return ;;
        -i | --interface)
            mapfile -t COMPREPLY < <(compgen -W "$(command ls /sys/class/net)" -- "$current")
            return ;;
        --print)
            mapfile -t COMPREPLY < <(compgen -W 'table json events transactions none' -- "$current")
            return ;;
        --interval | --pid)
            return ;;
    esac
    case $command in
        '') [[ $current == -* ]] || options='status reload rules top' ;;
        status) options='--json --socket' ;;
        reload) options='--pid --socket' ;;
        rules) options=--json ;;
        top) options='--interval --socket' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
} &&
    complete -F _httpacct httpacct
