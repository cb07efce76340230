# fish completion for httpacct(8)

set -l commands status reload rules top
set -l before "not __fish_seen_subcommand_from $commands"

complete -c httpacct -f
complete -c httpacct -s c -l config -rF -d 'Read this config'
complete -c httpacct -n $before -s i -l interface -x -a '(command ls /sys/class/net)' -d 'Watch this interface'
complete -c httpacct -n $before -s r -l read -rF -d 'Read a capture file'
complete -c httpacct -n $before -s t -l test -d 'Check the config'
complete -c httpacct -n $before -l print -x -a 'table json events transactions none' -d 'What to print'
complete -c httpacct -n 'not __fish_seen_subcommand_from status reload rules' -l interval -x -d 'Seconds between tables or looks'
complete -c httpacct -n $before -s v -l verbose -d 'Say more'
complete -c httpacct -n $before -s V -l version -d 'Print the version'
complete -c httpacct -n $before -s h -l help -d 'Print the options'
complete -c httpacct -n $before -a status -d 'Ask the agent how it fares'
complete -c httpacct -n $before -a reload -d 'Have the agent read its config again'
complete -c httpacct -n $before -a rules -d 'Say which rule takes a request'
complete -c httpacct -n $before -a top -d 'Show what moves now'
complete -c httpacct -n 'not __fish_seen_subcommand_from reload top' -l json -d 'As one JSON object'
complete -c httpacct -n 'not __fish_seen_subcommand_from status rules top' -l pid -x -a '(__fish_complete_pids)' -d 'The process that is to reload'
complete -c httpacct -n 'not __fish_seen_subcommand_from rules' -l socket -rF -d 'Ask at this socket'
