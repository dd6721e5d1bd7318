//! Sordino tests.
