//! `sluice completion`: scripts that complete commands in a shell.

use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;

/// `sluice completion`.
#[derive(Args, Debug)]
pub struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Supported,
}

/// A shell that there is a script for.
#[derive(ValueEnum, Debug, Clone, Copy)]
enum Supported {
    Bash,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
}

impl Completion {
    /// The script, made from the command tree. That of zsh can be sourced.
    pub fn script(&self, tree: &mut Command) -> String {
        let shell = match self.shell {
            Supported::Bash => Shell::Bash,
            Supported::Fish => Shell::Fish,
            Supported::PowerShell => Shell::PowerShell,
            Supported::Zsh => Shell::Zsh,
        };
        let name = tree.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(shell, tree, name, &mut script);
        String::from_utf8_lossy(&script).into_owned()
    }
}
