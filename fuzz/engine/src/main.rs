//! One program for all targets: `SORDINO_FUZZ_TARGET` names the one that is fuzzed; `list` lists them
//! with the longest inputs that they want. With `SORDINO_FUZZ_SEEDS` set to a folder it writes the
//! target's seeds there first.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sordino_fuzz::Target;
use std::path::PathBuf;
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    let name = std::env::var("SORDINO_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = sordino_fuzz::target(&name) else {
        for target in sordino_fuzz::TARGETS {
            println!("{} {}", target.name, target.max_bytes);
        }
        std::process::exit(if name == "list" { 0 } else { 2 });
    };
    if let Some(folder) = std::env::var_os("SORDINO_FUZZ_SEEDS").map(PathBuf::from) {
        for (name, bytes) in (target.seeds)() {
            std::fs::write(folder.join(name), bytes).expect("the folder of seeds is writable");
        }
    }
    target
}

fuzz_target!(
    init: {
        let _ = TARGET.get_or_init(target);
    },
    |data: &[u8]| {
        (TARGET.get_or_init(target).run)(data);
    }
);
