# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_wazzup_exporter_global_optspecs
    string join \n config.file= config.allow-token-command config.auto-reload-interval= web.listen-address= web.systemd-socket web.health-listen-address= web.enable-admin-api web.admin-listen-address= web.config.file= web.external-url= web.route-prefix= web.telemetry-path= web.enable-lifecycle storage.path= storage.shared shard= total-shards= shard.from-hostname log.level= log.format= h/help V/version
end

function __fish_wazzup_exporter_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_wazzup_exporter_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_wazzup_exporter_using_subcommand
    set -l cmd (__fish_wazzup_exporter_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l config.file -d 'The configuration file' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l config.auto-reload-interval -d 'How often to check whether the configuration has changed, and reload it then [default: never]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.listen-address -d 'Where to listen, host:port or :port; may be repeated [default: :10117, demo: 127.0.0.1:10117]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.health-listen-address -d 'Where to serve only health and readiness, in plain HTTP, for probes that have no certificate' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.admin-listen-address -d 'Where the admin listener is; elsewhere than on this machine it needs TLS' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.config.file -d 'TLS, logins, headers and a rate limit, in the format of Prometheus\' exporter-toolkit' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.external-url -d 'The URL under which a reverse proxy shows the exporter; its path, if it has one, is the default of --web.route-prefix' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.route-prefix -d 'The path below which everything is [default: the path of --web.external-url]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.telemetry-path -d 'The path of the metrics, below the prefix' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l storage.path -d 'Where to keep what survives a restart of the daemon [default: data, if it exists or refresh tokens or the record of resets are to be kept]' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l shard -d 'Which part of the accounts to poll, from 0; each process has another one' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l total-shards -d 'Into how many parts the accounts are split; the same for each process [default: 1]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l config.allow-token-command -d 'Let the main configuration file name programs that are run for tokens'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.systemd-socket -d 'Listen on the sockets that a .socket unit of systemd has opened, in place of --web.listen-address'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.enable-admin-api -d 'Open the admin listener, on which accounts can be reset whose configuration allows it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l web.enable-lifecycle -d 'Let a POST to /-/reload reload the configuration'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l storage.shared -d 'All shards have the same --storage.path, on storage whose locks hold across their hosts; accounts with refresh tokens or resets need it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -l shard.from-hostname -d 'Poll the part whose number is at the end of the hostname, as pods of a stateful set have it: exporter-2'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -s V -l version -d 'Print version'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "demo" -d 'Runs the daemon against a simulated Wazzup24, both in this process; needs no configuration'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "check-config" -d 'Checks the configuration and lists every problem with its place and remedy'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "poll" -d 'Reads every user of every account once and prints the metrics'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "doctor" -d 'Asks the API why counters may be missing, frozen or meaningless, and what to do'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "login" -d 'Lets the owner of an account authorise the partner (auth: oauth) and stores the refresh token'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "reset" -d 'Asks a running daemon to clear the counters of all chats of an account, which nothing undoes'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "healthcheck" -d 'Asks a running daemon whether it is healthy; for containers'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "simulator" -d 'Runs only the simulated Wazzup24'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l speed -d 'Simulated seconds per second' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l seed -d 'The same seed gives the same day' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.listen-address -d 'Where to listen, host:port or :port; may be repeated [default: :10117, demo: 127.0.0.1:10117]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.health-listen-address -d 'Where to serve only health and readiness, in plain HTTP, for probes that have no certificate' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.admin-listen-address -d 'Where the admin listener is; elsewhere than on this machine it needs TLS' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.config.file -d 'TLS, logins, headers and a rate limit, in the format of Prometheus\' exporter-toolkit' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.external-url -d 'The URL under which a reverse proxy shows the exporter; its path, if it has one, is the default of --web.route-prefix' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.route-prefix -d 'The path below which everything is [default: the path of --web.external-url]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.telemetry-path -d 'The path of the metrics, below the prefix' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.systemd-socket -d 'Listen on the sockets that a .socket unit of systemd has opened, in place of --web.listen-address'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.enable-admin-api -d 'Open the admin listener, on which accounts can be reset whose configuration allows it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -l web.enable-lifecycle -d 'Let a POST to /-/reload reload the configuration'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand demo" -s h -l help -d 'Print help'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l config.file -d 'The configuration file' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l config.auto-reload-interval -d 'How often to check whether the configuration has changed, and reload it then [default: never]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.listen-address -d 'Where to listen, host:port or :port; may be repeated [default: :10117, demo: 127.0.0.1:10117]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.health-listen-address -d 'Where to serve only health and readiness, in plain HTTP, for probes that have no certificate' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.admin-listen-address -d 'Where the admin listener is; elsewhere than on this machine it needs TLS' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.config.file -d 'TLS, logins, headers and a rate limit, in the format of Prometheus\' exporter-toolkit' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.external-url -d 'The URL under which a reverse proxy shows the exporter; its path, if it has one, is the default of --web.route-prefix' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.route-prefix -d 'The path below which everything is [default: the path of --web.external-url]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.telemetry-path -d 'The path of the metrics, below the prefix' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l storage.path -d 'Where to keep what survives a restart of the daemon [default: data, if it exists or refresh tokens or the record of resets are to be kept]' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l shard -d 'Which part of the accounts to poll, from 0; each process has another one' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l total-shards -d 'Into how many parts the accounts are split; the same for each process [default: 1]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l config.allow-token-command -d 'Let the main configuration file name programs that are run for tokens'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.systemd-socket -d 'Listen on the sockets that a .socket unit of systemd has opened, in place of --web.listen-address'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.enable-admin-api -d 'Open the admin listener, on which accounts can be reset whose configuration allows it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l web.enable-lifecycle -d 'Let a POST to /-/reload reload the configuration'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l storage.shared -d 'All shards have the same --storage.path, on storage whose locks hold across their hosts; accounts with refresh tokens or resets need it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -l shard.from-hostname -d 'Poll the part whose number is at the end of the hostname, as pods of a stateful set have it: exporter-2'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand check-config" -s h -l help -d 'Print help'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l config.file -d 'The configuration file' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l storage.path -d 'Where to keep what survives a restart of the daemon [default: data, if it exists or refresh tokens or the record of resets are to be kept]' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l shard -d 'Which part of the accounts to poll, from 0; each process has another one' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l total-shards -d 'Into how many parts the accounts are split; the same for each process [default: 1]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l config.allow-token-command -d 'Let the main configuration file name programs that are run for tokens'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l storage.shared -d 'All shards have the same --storage.path, on storage whose locks hold across their hosts; accounts with refresh tokens or resets need it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -l shard.from-hostname -d 'Poll the part whose number is at the end of the hostname, as pods of a stateful set have it: exporter-2'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand poll" -s h -l help -d 'Print help'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l config.file -d 'The configuration file' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l storage.path -d 'Where to keep what survives a restart of the daemon [default: data, if it exists or refresh tokens or the record of resets are to be kept]' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l shard -d 'Which part of the accounts to poll, from 0; each process has another one' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l total-shards -d 'Into how many parts the accounts are split; the same for each process [default: 1]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l json -d 'Print JSON for scripts'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l config.allow-token-command -d 'Let the main configuration file name programs that are run for tokens'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l storage.shared -d 'All shards have the same --storage.path, on storage whose locks hold across their hosts; accounts with refresh tokens or resets need it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -l shard.from-hostname -d 'Poll the part whose number is at the end of the hostname, as pods of a stateful set have it: exporter-2'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand login" -l config.file -d 'The configuration file' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand login" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand login" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand login" -l config.allow-token-command -d 'Let the main configuration file name programs that are run for tokens'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand login" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l confirm -d 'The account\'s number at Wazzup24, its `account_id`, to be sure which account is meant' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l reason -d 'Why, for the audit log' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l expected-unanswered -d 'How many unanswered messages are known of; needed above `max_unanswered`' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l url -d 'Where the daemon\'s admin listener is [default: http:// and --web.admin-listen-address, if that is on this machine]' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l token-file -d 'The file with the account\'s reset token [default: the one that the configuration names]' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l ca-file -d 'The certificates of the authority that issued the daemon\'s, for an https:// address' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l config.file -d 'The configuration file' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l web.admin-listen-address -d 'Where the admin listener is; elsewhere than on this machine it needs TLS' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l storage.path -d 'Where to keep what survives a restart of the daemon [default: data, if it exists or refresh tokens or the record of resets are to be kept]' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l dry-run -d 'Do everything but the reset: check every guard, read every user, write it to the audit log'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l insecure -d 'Take any certificate of an https:// address of this machine'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l history -d 'Print the recorded resets of an account, or of all accounts, without a request to the daemon'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -l config.allow-token-command -d 'Let the main configuration file name programs that are run for tokens'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand reset" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand healthcheck" -l url -d 'The address of the probe' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand healthcheck" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand healthcheck" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand healthcheck" -l insecure -d 'Take any certificate of an https:// address: it is our own, for another name than the address'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand healthcheck" -s h -l help -d 'Print help'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l listen -d 'Where to listen; every client that can reach it is served, so stay on loopback' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l accounts -d 'Simulate this many accounts of made-up users instead of the demo\'s' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l users -d 'Users per account, with --accounts' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l speed -d 'Simulated seconds per second' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l seed -d 'The same seed gives the same day' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l latency -d 'Time that each response takes, as 50ms or 10ms..300ms' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l fault -d 'A fault to simulate, as `status=500,probability=0.1`; may be repeated' -r
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l write-config -d 'Write a configuration of the exporter for what is simulated' -r -F
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l log.level -d 'Log only events of at least this level' -r -f -a "error\t''
warn\t''
info\t''
debug\t''
trace\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l log.format -d 'The format of log lines' -r -f -a "logfmt\t''
json\t''"
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l label -d 'Add two accounts under the Wazzup label, one of which has not authorised the partner yet'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -l control -d 'Accept commands at /_control/ from every client that can reach it'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand simulator" -s h -l help -d 'Print help'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "demo" -d 'Runs the daemon against a simulated Wazzup24, both in this process; needs no configuration'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "check-config" -d 'Checks the configuration and lists every problem with its place and remedy'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "poll" -d 'Reads every user of every account once and prints the metrics'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "doctor" -d 'Asks the API why counters may be missing, frozen or meaningless, and what to do'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "login" -d 'Lets the owner of an account authorise the partner (auth: oauth) and stores the refresh token'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "reset" -d 'Asks a running daemon to clear the counters of all chats of an account, which nothing undoes'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "healthcheck" -d 'Asks a running daemon whether it is healthy; for containers'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "simulator" -d 'Runs only the simulated Wazzup24'
complete -c wazzup-exporter -n "__fish_wazzup_exporter_using_subcommand help; and not __fish_seen_subcommand_from demo check-config poll doctor login reset healthcheck simulator help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
