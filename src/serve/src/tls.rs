//! TLS of the doors. Its files are read again when they change; while new ones cannot be used, the old
//! ones are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use huiliu_sdk::{Error, ErrorKind, Result};
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// How old what was read may get before it is compared with the files again.
const MAX_AGE: Duration = Duration::from_secs(1);
/// The most bytes of a file.
const MAX_BYTES: u64 = 1 << 20;
/// How a client that begins with TLS at once says that it speaks the Postgres wire.
const POSTGRES: &[u8] = b"postgresql";
const HTTP: &[u8] = b"http/1.1";
/// What Flight is spoken over.
const HTTP2: &[u8] = b"h2";

/// Where certificates and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to one that clients trust; PEM.
    pub certificate: PathBuf,
    /// Its private key; PEM.
    pub key: PathBuf,
    /// The certificates whose holders may issue those of clients; PEM. With it each client must show
    /// one.
    pub client_ca: Option<PathBuf>,
}

/// TLS as the doors speak it.
#[derive(Clone)]
pub struct Tls {
    inner: Arc<Inner>,
}

struct Inner {
    files: TlsFiles,
    state: Mutex<State>,
}

struct State {
    spoken: Spoken,
    /// The hash of what was read last, whether it can be used or not.
    seen: Hash,
    looked: Instant,
}

type Hash = [u8; 32];

/// What a door answers with.
#[derive(Clone)]
struct Spoken {
    web: Arc<ServerConfig>,
    postgres: Arc<ServerConfig>,
    flight: Arc<ServerConfig>,
}

/// The files as they are.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files, all of which must be usable.
    pub fn read(files: TlsFiles) -> Result<Self> {
        let contents = Contents::read(&files)?;
        let spoken = contents.spoken(&files)?;
        let state = State { spoken, seen: contents.hash(), looked: Instant::now() };
        Ok(Self { inner: Arc::new(Inner { files, state: Mutex::new(state) }) })
    }

    /// What takes the web's connections now.
    pub(crate) async fn web(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.now().await.web)
    }

    /// What takes the connections of the Postgres wire now.
    pub(crate) async fn postgres(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.now().await.postgres)
    }

    /// What takes the connections of Flight now.
    pub(crate) async fn flight(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.now().await.flight)
    }

    async fn now(&self) -> Spoken {
        let known = {
            let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
            let is_fresh = state.looked.elapsed() < MAX_AGE;
            if !is_fresh {
                // Whoever comes while the files are read takes what is known.
                state.looked = Instant::now();
            }
            is_fresh.then(|| state.spoken.clone())
        };
        if let Some(spoken) = known {
            return spoken;
        }
        let inner = Arc::clone(&self.inner);
        if let Err(error) = tokio::task::spawn_blocking(move || inner.look()).await {
            tracing::error!(%error, "the files of TLS could not be looked at");
        }
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).spoken.clone()
    }
}

impl Inner {
    /// Takes the files as they are now, if they are others and can be used.
    fn look(&self) {
        let (hash, read) = match Contents::read(&self.files) {
            Ok(contents) => (contents.hash(), contents.spoken(&self.files)),
            // Told once, as long as it stays the same.
            Err(error) => (Sha256::digest(error.to_string()).into(), Err(error)),
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen == hash {
            return;
        }
        state.seen = hash;
        match read {
            Ok(spoken) => {
                state.spoken = spoken;
                tracing::info!(certificate = %self.files.certificate.display(), "TLS has a new certificate");
            }
            Err(error) => {
                let hint = error.hint_text().unwrap_or_default();
                tracing::error!(%error, code = error.code(), hint, "the old certificate is kept");
            }
        }
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self> {
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn hash(&self) -> Hash {
        let mut hash = Sha256::new();
        for part in [&self.certificate, &self.key].into_iter().chain(&self.client_ca) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn spoken(&self, files: &TlsFiles) -> Result<Spoken> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(&files.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            PemError::NoItemsFound => {
                unusable(&files.key, "it has no private key that is not encrypted")
            }
            other => unusable(&files.key, &pem_fault(&other)),
        })?;
        let verifier: Arc<dyn ClientCertVerifier> = match (&files.client_ca, &self.client_ca) {
            (Some(path), Some(bytes)) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path, bytes)? {
                    roots.add(certificate).map_err(|e| unusable(path, &e.to_string()))?;
                }
                let roots = Arc::new(roots);
                WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|e| unusable(path, &e.to_string()))?
            }
            _ => Arc::new(NoClientAuth),
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::internal("TLS could not be set up").cause(e))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    let certificate = files.certificate.display();
                    unusable(&files.key, &format!("it is not the key of {certificate}"))
                }
                other => unusable(&files.certificate, &other.to_string()),
            })?;
        let speaking = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            Arc::new(config)
        };
        let (web, postgres, flight) = (speaking(HTTP), speaking(POSTGRES), speaking(HTTP2));
        Ok(Spoken { web, postgres, flight })
    }
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let found = found.map_err(|error| unusable(path, &pem_fault(&error)))?;
    if found.is_empty() {
        return Err(unusable(path, "it has no certificate in the form of PEM"));
    }
    Ok(found)
}

/// What is wrong with a file, without what is in it.
fn pem_fault(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { .. } => "its end is missing".into(),
        PemError::IllegalSectionStart { .. } => "a line that begins a section is wrong".into(),
        PemError::Base64Decode(_) => "its content is no base64".into(),
        _ => "it is not in the form of PEM".into(),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(|e| unreadable(path, e))?.len();
    if size > MAX_BYTES {
        return Err(unusable(path, "it is too large"));
    }
    std::fs::read(path).map_err(|e| unreadable(path, e))
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    unusable(path, "it cannot be read").cause(error)
}

fn unusable(path: &Path, why: &str) -> Error {
    let message = format!("{} cannot be used for TLS: {why}", path.display());
    Error::new(ErrorKind::Config, "E-SERVE-TLS", message)
        .hint("`tls` under [serve] in config/hub.toml names a certificate and its key, both PEM")
}
