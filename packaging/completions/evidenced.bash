# bash completion of evidenced; written by `make docs` from the commands' own options
_evidenced() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local path='' word words='' kind=''
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path/$word" in
            /inventory) path=$path/$word;;
            /run) path=$path/$word;;
            /status) path=$path/$word;;
            /tables) path=$path/$word;;
            /show-payload) path=$path/$word;;
            /export) path=$path/$word;;
            /enroll) path=$path/$word;;
            /ship) path=$path/$word;;
            /import) path=$path/$word;;
            /verify) path=$path/$word;;
            /log) path=$path/$word;;
            /keys) path=$path/$word;;
            /record) path=$path/$word;;
            /wrap) path=$path/$word;;
            /prune) path=$path/$word;;
            /config) path=$path/$word;;
            /config/check) path=$path/$word;;
            /config/show) path=$path/$word;;
            /doctor) path=$path/$word;;
        esac
    done
    case "$path $previous" in
        '/inventory --table') words='file_capabilities groups host os_support ownerless_files packages password_status privileged_files ssh_authorized_keys sshd_settings sudo_rules users world_writable';;
        '/inventory --root') kind=folders;;
        '/inventory --every') kind=nothing;;
        '/inventory --label') kind=nothing;;
        '/inventory --config') kind=files;;
        '/inventory --state') kind=folders;;
        '/run --config') kind=files;;
        '/run --state') kind=folders;;
        '/status --state') kind=folders;;
        '/show-payload --table') words='file_capabilities groups host os_support ownerless_files packages password_status privileged_files ssh_authorized_keys sshd_settings sudo_rules users world_writable';;
        '/show-payload --entry') kind=nothing;;
        '/show-payload --log') kind=nothing;;
        '/show-payload --config') kind=files;;
        '/show-payload --state') kind=folders;;
        '/export --since') kind=nothing;;
        '/export --until') kind=nothing;;
        '/export -o'|'/export --output') kind=files;;
        '/export --org') kind=nothing;;
        '/export --batches') kind=folders;;
        '/export --state') kind=folders;;
        '/enroll --hub') kind=nothing;;
        '/enroll --token-file') kind=files;;
        '/enroll --hub-key') kind=nothing;;
        '/enroll --ca-file') kind=files;;
        '/enroll --client-certificate') kind=files;;
        '/enroll --client-key') kind=files;;
        '/enroll --proxy') kind=nothing;;
        '/enroll --name') kind=nothing;;
        '/enroll --state') kind=folders;;
        '/enroll --config') kind=files;;
        '/ship --state') kind=folders;;
        '/ship --config') kind=files;;
        '/import --into') kind=folders;;
        '/import --hub') kind=nothing;;
        '/import --hub-key') kind=nothing;;
        '/import --ca-file') kind=files;;
        '/import --client-certificate') kind=files;;
        '/import --client-key') kind=files;;
        '/import --proxy') kind=nothing;;
        '/import --config') kind=files;;
        '/log --log') kind=nothing;;
        '/log --last') kind=nothing;;
        '/log --state') kind=folders;;
        '/keys --state') kind=folders;;
        '/record --field') kind=nothing;;
        '/record --at') kind=nothing;;
        '/record --note') kind=nothing;;
        '/record --state') kind=folders;;
        '/wrap --job') kind=nothing;;
        '/wrap --state') kind=folders;;
        '/prune --days') kind=nothing;;
        '/prune --state') kind=folders;;
        '/config/check --config') kind=files;;
        '/config/show --config') kind=files;;
        '/doctor --config') kind=files;;
        '/doctor --state') kind=folders;;
        *)
            case "$path" in
                '') words='inventory run status tables show-payload export enroll ship import verify log keys record wrap prune config doctor -h --help --version';;
                '/inventory') words='-h --help --table --json --gaps --root --sign --no-sign --strict --every --label --config --state';;
                '/run') words='-h --help --config --state';;
                '/status') words='-h --help --json --state';;
                '/tables') words='file_capabilities groups host os_support ownerless_files packages password_status privileged_files ssh_authorized_keys sshd_settings sudo_rules users world_writable -h --help --json --markdown';;
                '/show-payload') words='-h --help --table --entry --log --config --state';;
                '/export') words='-h --help --since --until -o --output --org --overwrite --batches --state';;
                '/enroll') words='-h --help --hub --token-file --hub-key --ca-file --client-certificate --client-key --proxy --name --state --config';;
                '/ship') words='-h --help --once --state --config';;
                '/import') words='-h --help --into --hub --hub-key --ca-file --client-certificate --client-key --proxy --config'; kind=files;;
                '/verify') words='-h --help'; kind=files;;
                '/log') words='show prove -h --help --log --json --last --state';;
                '/keys') words='show rotate -h --help --state';;
                '/record') words='acknowledgement backup-run baseline-approved change-window restore-test -h --help --field --at --note --state';;
                '/wrap') words='-h --help --job --require-record --state'; kind=files;;
                '/prune') words='-h --help --days --state';;
                '/config') words='check show -h --help';;
                '/config/check') words='-h --help --config --json'; kind=files;;
                '/config/show') words='-h --help --config --json'; kind=files;;
                '/doctor') words='-h --help --json --config --state';;
            esac;;
    esac
    case "$kind" in
        files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current");;
        folders) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current");;
    esac
    [ -n "$words" ] || return 0
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _evidenced evidenced
