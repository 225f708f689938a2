//! One flow of instant-acme per run: `flows FLOW`, with the settings of common.py: ProgramClient.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeHandle, ChallengeType, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
    RevocationReason, RevocationRequest,
};
use rustls_pki_types::{pem::PemObject, CertificateDer};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let flow = std::env::args().nth(1).unwrap_or_default();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&flow))
}

async fn run(flow: &str) -> Outcome {
    match flow {
        "register" => register().await,
        "issue" => issue().await,
        "revoke-by-account" => revoke().await,
        "key-rollover" => store(&serde_json::to_string(&account().await?.update_key().await?)?),
        "deactivate" => Ok(account().await?.deactivate().await?),
        _ => Err(format!("usage: flows FLOW; there is no flow {flow:?}").into()),
    }
}

fn setting(name: &str) -> Outcome<String> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

fn path(folder: &str, file: &str) -> Outcome<PathBuf> {
    Ok(PathBuf::from(setting(folder)?).join(file))
}

fn store(credentials: &str) -> Outcome {
    Ok(fs::write(path("ACME_HOME", "account.json")?, credentials)?)
}

async fn register() -> Outcome {
    let wish = NewAccount { contact: &["mailto:ops@rust.test"], terms_of_service_agreed: true, only_return_existing: false };
    let builder = Account::builder_with_root(setting("ACME_ROOT")?)?;
    let (_, credentials) = builder.create(&wish, setting("ACME_DIRECTORY")?, None).await?;
    store(&serde_json::to_string(&credentials)?)
}

async fn account() -> Outcome<Account> {
    let credentials = serde_json::from_str(&fs::read_to_string(path("ACME_HOME", "account.json")?)?)?;
    Ok(Account::builder_with_root(setting("ACME_ROOT")?)?.from_credentials(credentials).await?)
}

fn identifier(name: &str) -> Identifier {
    match name.parse::<IpAddr>() {
        Ok(address) => Identifier::Ip(address),
        Err(_) => Identifier::Dns(name.to_owned()),
    }
}

async fn issue() -> Outcome {
    let names: Vec<Identifier> = setting("ACME_NAMES")?.split(',').map(identifier).collect();
    let wanted = match setting("ACME_CHALLENGE")?.as_str() {
        "dns-01" => ChallengeType::Dns01,
        "tls-alpn-01" => ChallengeType::TlsAlpn01,
        _ => ChallengeType::Http01,
    };
    let mut order = account().await?.new_order(&NewOrder::new(&names)).await?;
    let mut answers = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization.challenge(wanted.clone()).ok_or("the challenge is not offered")?;
        answers.push(Answer::give(&challenge)?);
        challenge.set_ready().await?;
    }
    let status = order.poll_ready(&RetryPolicy::default()).await?;
    if status != OrderStatus::Ready {
        return Err(format!("the order is {status:?}").into());
    }
    let key = order.finalize().await?;
    let chain = order.poll_certificate(&RetryPolicy::default()).await?;
    fs::write(path("ACME_HOME", "leaf.key")?, key)?;
    Ok(fs::write(path("ACME_HOME", "chain.pem")?, chain)?)
}

/// The answer to a challenge, where the server looks for it, for as long as this lives.
enum Answer {
    Record { name: String, text: String },
    File(PathBuf),
}

impl Answer {
    fn give(challenge: &ChallengeHandle<'_>) -> Outcome<Self> {
        let name = match challenge.identifier().identifier {
            Identifier::Dns(name) => name.clone(),
            Identifier::Ip(address) => address.to_string(),
            _ => return Err("neither a name nor an address".into()),
        };
        let proof = challenge.key_authorization();
        let file = match challenge.r#type {
            ChallengeType::Dns01 => {
                txt("add", &name, &proof.dns_value())?;
                return Ok(Self::Record { name, text: proof.dns_value() });
            }
            ChallengeType::TlsAlpn01 => {
                let mut wish = rcgen::CertificateParams::new([name.clone()])?;
                wish.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(proof.digest().as_ref())];
                let key = rcgen::KeyPair::generate()?;
                fs::write(path("ACME_ALPN", &format!("{name}.key.pem"))?, key.serialize_pem())?;
                let file = path("ACME_ALPN", &format!("{name}.crt.pem"))?;
                fs::write(&file, wish.self_signed(&key)?.pem())?;
                file
            }
            _ => {
                let file = path("ACME_TOKENS", &challenge.token)?;
                fs::write(&file, proof.as_str())?;
                file
            }
        };
        Ok(Self::File(file))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let gone = match self {
            Self::Record { name, text } => txt("remove", name, text),
            Self::File(file) => fs::remove_file(file).map_err(Into::into),
        };
        if let Err(error) = gone {
            eprintln!("an answer was not taken away: {error}");
        }
    }
}

fn txt(verb: &str, name: &str, text: &str) -> Outcome {
    let mut control = TcpStream::connect(setting("ACME_DNS_CONTROL")?)?;
    let record = serde_json::json!({ "name": format!("_acme-challenge.{name}"), "type": "TXT", "data": [text] });
    writeln!(control, "{}", serde_json::json!({ verb: record }))?;
    let mut said = String::new();
    BufReader::new(control).read_line(&mut said)?;
    match said.trim() {
        "ok" => Ok(()),
        _ => Err(format!("the DNS responder says: {said}").into()),
    }
}

async fn revoke() -> Outcome {
    let leaf = CertificateDer::from_pem_file(path("ACME_HOME", "chain.pem")?)?;
    let wish = RevocationRequest { certificate: &leaf, reason: Some(RevocationReason::Superseded) };
    Ok(account().await?.revoke(&wish).await?)
}
