# bash completion of evidenced-hub; written by `make docs` from the commands' own options
_evidenced_hub() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local path='' word words='' kind=''
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path/$word" in
            /serve) path=$path/$word;;
            /hosts) path=$path/$word;;
            /expect) path=$path/$word;;
            /token) path=$path/$word;;
            /pack) path=$path/$word;;
        esac
    done
    case "$path $previous" in
        '/serve --data') kind=folders;;
        '/serve --name') kind=nothing;;
        '/serve --listen') kind=nothing;;
        '/serve --tls-certificate') kind=files;;
        '/serve --tls-key') kind=files;;
        '/serve --client-ca') kind=files;;
        '/serve --token-file') kind=files;;
        '/serve --per-peer') kind=nothing;;
        '/serve --at-once') kind=nothing;;
        '/serve --max-batch') kind=nothing;;
        '/serve --reserve') kind=nothing;;
        '/hosts --data') kind=folders;;
        '/hosts --silent-after') kind=nothing;;
        '/expect --data') kind=folders;;
        '/token --data') kind=folders;;
        '/token --label') kind=nothing;;
        '/token --days') kind=nothing;;
        '/token --uses') kind=nothing;;
        '/pack --data') kind=folders;;
        '/pack --since') kind=nothing;;
        '/pack --until') kind=nothing;;
        '/pack -o'|'/pack --output') kind=files;;
        '/pack --org') kind=nothing;;
        *)
            case "$path" in
                '') words='serve hosts expect token pack -h --help';;
                '/serve') words='-h --help --data --name --listen --tls-certificate --tls-key --client-ca --token-file --behind-proxy --per-peer --at-once --max-batch --reserve';;
                '/hosts') words='-h --help --data --silent-after --json';;
                '/expect') words='-h --help --data'; kind=files;;
                '/token') words='new revoke list -h --help --data --label --days --uses';;
                '/pack') words='-h --help --data --since --until -o --output --org --overwrite';;
            esac;;
    esac
    case "$kind" in
        files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current");;
        folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current");;
    esac
    [ -n "$words" ] || return 0
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _evidenced_hub evidenced-hub
