//! Puts what browsers load into the program, compressed ahead of time: the console and the client library.
//!
//! The console's files lie under one folder with a hash of them all in its name, so that a browser may keep them
//! for ever, an upgrade never mixes old files with new ones, and imports between them stay as they are. The
//! library's have names that pages know.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

const CONSOLE: &str = "src/http/console";
const LIBRARY: &str = "clients/js";
/// What of it is served, by another name than it has there where that says too little.
const SERVED: [(&str, &str, &str); 4] = [
    ("statshub.js", "statshub.js", SCRIPT),
    ("statshub.d.ts", "statshub.d.ts", TYPES),
    ("react.js", "statshub-react.js", SCRIPT),
    ("react.d.ts", "statshub-react.d.ts", TYPES),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TYPES: &str = "text/plain; charset=utf-8";
/// What stands for the hash in the one file that is served under a fixed name,
const HASH: &str = "{hash}";
/// and for links to all modules: a browser that had to read one to learn of the next would ask four times in a row.
const MODULES: &str = "{modules}";
/// Enough to tell any two builds apart.
const HASH_BYTES: usize = 8;

/// Extensions that are served, and as what. Others, such as the types' settings, stay here.
const KINDS: [(&str, &str); 4] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", SCRIPT),
    ("svg", "image/svg+xml"),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={CONSOLE}");
    let mut console = files(Path::new(CONSOLE))?;
    // The console has its own copy under its hash: that of all is kept for minutes, and may be of another version.
    console.push(library_file(SERVED[0])?);
    let hash = hash(&console);
    let modules = modules(&console);
    for file in &mut console {
        file.text = file.text.replace(MODULES, &modules).replace(HASH, &hash);
    }
    put("console", &hash, &console)?;
    let mut library = Vec::new();
    for file in SERVED {
        library.push(library_file(file)?);
    }
    put("library", &self::hash(&library), &library)
}

fn library_file((file, name, kind): (&str, &str, &'static str)) -> io::Result<Asset> {
    let path = Path::new(LIBRARY).join(file);
    println!("cargo::rerun-if-changed={}", path.display());
    let (name, text) = (name.to_owned(), fs::read_to_string(path)?);
    Ok(Asset { name, kind, text })
}

/// Leaves the files for the program, and `NAME.rs` with `HASH` and `FILES`.
fn put(name: &str, hash: &str, files: &[Asset]) -> io::Result<()> {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut table = format!("const HASH: &str = \"{hash}\";\nconst FILES: &[Asset] = &[\n");
    for (number, file) in files.iter().enumerate() {
        let plain = out.join(format!("{name}-{number}"));
        let gzip = out.join(format!("{name}-{number}.gz"));
        fs::write(&plain, &file.text)?;
        compress(&file.text, &gzip)?;
        let (name, kind) = (&file.name, file.kind);
        writeln!(
            table,
            "    Asset {{ name: {name:?}, kind: {kind:?}, plain: include_bytes!({plain:?}), \
             gzip: include_bytes!({gzip:?}) }},"
        )
        .expect("a string takes all");
    }
    fs::write(out.join(format!("{name}.rs")), table + "];\n")
}

struct Asset {
    /// As it is asked for: of the console below its folder, as in `ui/chart.js`.
    name: String,
    kind: &'static str,
    text: String,
}

/// By name, so that one source gives one hash.
fn files(folder: &Path) -> io::Result<Vec<Asset>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
            continue;
        }
        let extension = path.extension().unwrap_or_default();
        if let Some((_, kind)) = KINDS.iter().find(|(known, _)| extension == *known) {
            let below = path.strip_prefix(CONSOLE).expect("a file of the folder");
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            let (name, text) = (parts.join("/"), fs::read_to_string(&path)?);
            found.push(Asset { name, kind, text });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn modules(files: &[Asset]) -> String {
    let scripts = files.iter().filter(|file| file.name.ends_with(".js"));
    let links = scripts.map(|file| {
        let name = &file.name;
        format!("<link rel=\"modulepreload\" href=\"console/{HASH}/{name}\">")
    });
    links.collect::<Vec<_>>().join("\n  ")
}

fn hash(files: &[Asset]) -> String {
    let mut hash = Sha256::new();
    for file in files {
        for part in [&file.name, &file.text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let digest = hash.finalize();
    digest[..HASH_BYTES]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn compress(text: &str, to: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(File::create(to)?, Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?;
    Ok(())
}
