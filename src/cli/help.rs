//! What stands behind the options in a subcommand's help: paragraphs that are as wide as the terminal, and examples that can be
//! copied as they stand, since where a line is broken the shell reads on. Not here: what it says.

use clap::Command;

/// The lines of an example have at most so many characters: clap breaks what is wider than the terminal, which has 80 at least.
const LINE_MAX: usize = 78;

/// What an example begins with.
const PROGRAMS: [&str; 2] = ["seatledger ", "curl "];

/// The command and those below it, with such help.
pub(super) fn laid_out(mut command: Command) -> Command {
    if let Some(help) = command.get_after_help() {
        let help = lay_out(&help.to_string());
        command = command.after_help(help);
    }
    command.mut_subcommands(laid_out)
}

fn lay_out(help: &str) -> String {
    let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut lines: Vec<String> = Vec::new();
    for line in help.lines() {
        match lines.last_mut().filter(|last| is_prose(last) && is_prose(line)) {
            Some(last) => *last += &format!(" {line}"),
            None if PROGRAMS.iter().any(|program| line.trim_start().starts_with(program)) => lines.extend(broken(line)),
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// An example in as few lines as it takes. An option and its value stay together.
fn broken(example: &str) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let mut words = example.split_inclusive(' ').peekable();
    while let Some(word) = words.next() {
        let mut part = word.to_owned();
        while let Some(more) = words.next_if(|next| !next.starts_with(['-', '>', '|'])) {
            part += more;
        }
        let behind = if words.peek().is_some() { " \\" } else { "" };
        if line.is_empty() || line.len() + part.trim_end().len() + behind.len() <= LINE_MAX {
            line += &part;
        } else {
            lines.push(line + "\\");
            line = format!("      {part}");
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn helps(command: &Command) -> Vec<String> {
        let own = command.get_after_help().map(ToString::to_string);
        own.into_iter().chain(command.get_subcommands().flat_map(helps)).collect()
    }

    #[test]
    fn an_example_fits_and_the_shell_reads_it_as_it_was_written() {
        let (written, laid_out) =
            (helps(&super::super::Cli::command()), helps(&laid_out(super::super::Cli::command())));
        assert_eq!(written.len(), laid_out.len());
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut is_example = false;
        for (written, laid_out) in written.iter().zip(&laid_out) {
            assert_eq!(words(written), words(&laid_out.replace("\\\n", "")), "{laid_out}");
            for line in laid_out.lines() {
                let begins = PROGRAMS.iter().any(|program| line.starts_with(&format!("  {program}")));
                is_example = begins || is_example && line.starts_with("      ");
                assert!(!is_example || line.chars().count() <= LINE_MAX, "{line}");
                // within quotes a backslash at the end would be a part of the word
                assert!(!is_example || line.matches('\'').count().is_multiple_of(2), "{line}");
            }
        }
        assert!(laid_out.iter().any(|help| help.contains("\\\n")), "some are longer than a line");
    }

    #[test]
    fn a_paragraph_is_one_line_and_a_list_stays_one() {
        let help = "One\nparagraph.\n\nCodes:\n  0  good\n  1  bad\n\nExamples:\n  seatledger a --b c";
        let expected = "One paragraph.\n\nCodes:\n  0  good\n  1  bad\n\nExamples:\n  seatledger a --b c";
        assert_eq!(lay_out(help), expected);
        let example = format!("  seatledger x --one {} --two 'a b' > file", "1".repeat(50));
        let two = format!("  seatledger x --one {} \\\n      --two 'a b' > file", "1".repeat(50));
        assert_eq!(lay_out(&example), two);
    }
}
