//! The one binary of Sordino.
fn main() {}
