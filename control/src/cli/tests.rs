use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_forms_of_the_design_are_accepted() {
    for line in [
        "hal2tp run -c f.yaml",
        "hal2tp check f.yaml",
        "hal2tp check a.yaml b.yaml --json",
        "hal2tp status",
        "hal2tp status -c f.yaml --json",
        "hal2tp status --socket /run/x --watch",
        "hal2tp status --watch --json",
        "hal2tp tunnels",
        "hal2tp tunnels -c f.yaml --json",
        "hal2tp sessions --socket /run/x",
        "hal2tp drops --for 10s --all",
        "hal2tp drops -c f.yaml --json",
        "hal2tp kick isp1 head2 -c f.yaml",
        "hal2tp kick isp1 --json",
        "hal2tp mask isp1 head2 -c f.yaml",
        "hal2tp mask isp1 --for 600s --json",
        "hal2tp mask isp1 --undo",
        "hal2tp reload",
        "hal2tp reload --dry-run --json -c f.yaml",
        "hal2tp graph",
        "hal2tp graph head1 --last 28h -o head1.svg",
        "hal2tp graph set/A/192.0.2.1 --day 2026-11-27 --json",
        "hal2tp events",
        "hal2tp events -c f.yaml --json -n 5 --set A --follow",
        "hal2tp events --link isp1 -f",
        "hal2tp capture -w f.pcapng",
        "hal2tp capture --set A --link head1 --port isp1 -w - inner host 10.0.0.1 and not tcp",
        "hal2tp capture -c f.yaml --count 5 --for 500ms --snap 2048 -w f.pcapng",
        "hal2tp version --json",
        "hal2tp completions bash",
        "hal2tp man",
        "hal2tp status --color never",
        "hal2tp --color always status",
    ] {
        Cli::try_parse_from(line.split(' ')).unwrap();
    }
    for line in [
        "hal2tp check",
        "hal2tp run",
        "hal2tp kick",
        "hal2tp mask",
        "hal2tp mask isp1 --for 60",
        "hal2tp mask isp1 --for 500ms",
        "hal2tp mask isp1 --for 1500ms",
        "hal2tp mask isp1 --for 3601s",
        "hal2tp mask isp1 --for 60s --undo",
        "hal2tp reload f.yaml",
        "hal2tp graph --output x.svg",
        "hal2tp graph head1 --day 2026-11-27 --last 1h",
        "hal2tp drops --for 10",
        "hal2tp drops --for 0s",
        "hal2tp drops --for 2000s",
        "hal2tp capture",
        "hal2tp capture -w f --snap 4096",
        "hal2tp capture -w f --count 0",
        "hal2tp capture -w f --for 10",
        "hal2tp capture -w f --for 0s",
        "hal2tp completions dos",
        "hal2tp status --color pink",
    ] {
        assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
    }
}

#[test]
fn colours_are_forced_and_forbidden() {
    let colours = |when| {
        let line = ["hal2tp", "status", "--color", when];
        Cli::try_parse_from(line).unwrap().colours()
    };
    assert!(colours("always"));
    assert!(!colours("never"));
}

#[test]
fn every_option_is_explained() {
    fn look(command: &clap::Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            let told = argument.get_help().is_some();
            assert!(told, "{name}: {}", argument.get_id());
        }
        command.get_subcommands().for_each(look);
    }
    look(&Cli::command());
}
