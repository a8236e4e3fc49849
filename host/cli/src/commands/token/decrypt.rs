//! `deputy token decrypt`: what is in a token file, without any configuration, store or network.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use domain::token::from_now;
use engine::apple::Credentials;
use engine::apple::token_file::{self, TokenFileError};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use crate::Common;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, time};

/// What `deputy token decrypt` takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file from Apple's portal, `…_smime.p7m`
    file: PathBuf,
    /// The private key of the certificate that was uploaded (PEM, without a password)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Write the token as JSON, secrets and all, to a new file that only you may read
    #[arg(long, value_name = "FILE", conflicts_with = "print_secrets")]
    out: Option<PathBuf>,
    /// Print the token as JSON, secrets and all
    #[arg(long)]
    print_secrets: bool,
}

/// Larger than any token file or key.
const LARGEST: u64 = 2 << 20;

/// Carries the command out.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Outcome {
    let Arguments { file, key, out, print_secrets } = arguments;
    let p7m = read(file)?;
    let private_key = SecretString::from(String::from_utf8_lossy(&read(key)?).into_owned());
    let wrong = |error: TokenFileError| {
        let (named, hint) = match &error {
            TokenFileError::LockedKey => {
                (key, Some(format!("open it with `openssl pkey -in {} -out OPEN.pem`", key.display())))
            }
            TokenFileError::Key(_) => {
                (key, Some("name the private key that belongs to the certificate".to_owned()))
            }
            TokenFileError::OtherKey(_) => (file, Some("name the key of that certificate".to_owned())),
            _ => (file, Some("download the token from Apple's portal again".to_owned())),
        };
        let mut problem = Problem::new(Exit::Failure, format!("cannot decrypt {}", named.display()));
        problem.chain.push(error.to_string());
        if let TokenFileError::NotAToken(why) = &error {
            problem.chain.push(why.to_string());
        }
        problem.hint = hint;
        problem
    };
    let made_for = token_file::made_for(&p7m).map_err(wrong)?.to_string();
    let credentials = token_file::decrypt_with_key(&p7m, &private_key).map_err(wrong)?;
    if *print_secrets {
        print(&String::from_utf8_lossy(&credentials.expose_everything_as_json()));
        return Ok(Exit::Success);
    }
    if let Some(out) = out {
        write(out, &credentials)?;
    }
    let at = credentials.access_token_expiry;
    if common.json {
        let value = json!({ "file": file, "made_for": made_for, "expires_at": at, "written_to": out });
        print_json("token_file", &value);
        return Ok(Exit::Success);
    }
    print(&format!(
        "{}: a server token\n  made for  the certificate {made_for}\n  expires   {} ({})\n  holds     all five members; \
         their secrets are not shown",
        file.display(),
        from_now(at, Timestamp::now()),
        time(at)
    ));
    match out {
        Some(out) => print(&format!("Wrote all of it to {}, which only you may read.", out.display())),
        None => print("`--out FILE` writes it as JSON, secrets and all; `--print-secrets` prints that."),
    }
    Ok(Exit::Success)
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut content));
    read.map_err(|error| Problem::file("read", path, &error))?;
    Ok(content)
}

/// Never over a file that is there: it may be readable by others.
fn write(path: &Path, credentials: &Credentials) -> Outcome<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(&credentials.expose_everything_as_json())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.map_err(|error| Problem::file("write", path, &error))
}
