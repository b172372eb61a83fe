//! The binary from outside: exit codes and what it says.

use std::{
    borrow::Cow,
    io,
    process::{Command, Output},
};

fn meshlib(arguments: &[&str]) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_meshlib")).args(arguments).output()
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[test]
fn version_and_help_succeed() {
    let version = meshlib(&["--version"]).unwrap();
    let expected = concat!("meshlib ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.status.code(), text(&version.stdout).as_ref()), (Some(0), expected));
    let help = meshlib(&["--help"]).unwrap();
    assert_eq!(help.status.code(), Some(0));
    for flag in ["--config-path", "--mode", "--concurrency", "--drain-time-s", "--resolver", "/etc/envoy/envoy.yaml"] {
        assert!(text(&help.stdout).contains(flag), "{flag}");
    }
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for arguments in [&["--no-such-flag"][..], &["--concurrency", "many"], &["--mode", "init_only"], &["stray"]] {
        let output = meshlib(arguments).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && text(&output.stderr).contains("error: "), "{arguments:?}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_code_1_in_both_modes() {
    for mode in ["serve", "validate"] {
        let output = meshlib(&["-c", "/nonexistent/envoy.yaml", "--mode", mode, "-l", "off"]).unwrap();
        assert_eq!(output.status.code(), Some(1), "{mode}");
        assert!(text(&output.stderr).contains("/nonexistent/envoy.yaml"), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}
