//! Sordino benches.
