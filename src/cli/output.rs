//! Lines on standard output or standard error.

/// Prints a line; there is no place left to report a failure to.
pub(crate) fn print_line(mut stream: impl std::io::Write, line: &str) {
    let _ = writeln!(stream, "{line}");
}
