//! TLS: certificates of our own clusters, and connections to servers elsewhere.

use std::{fs, path::Path, sync::Arc};

use rustls::{CertificateError, ClientConfig, RootCertStore, crypto::ring};
use tokio_postgres_rustls::MakeRustlsConnect;

/// How connections to a server are secured.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ClientConfig>,
}

/// TLS can't be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot set up TLS: {0}")]
pub struct TlsError(String);

impl TlsError {
    pub(crate) fn certificate(error: rcgen::Error) -> Self {
        Self(format!("making a certificate: {error}"))
    }
}

impl ServerTls {
    /// The server's certificate has to be one that the operating system trusts.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the system has no certificates that can be read.
    pub fn trusting_the_system() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let loaded = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(loaded.certs);
        if roots.is_empty() {
            return Err(TlsError("the system has no trusted certificates; name a file with them".into()));
        }
        Self::trusting(roots)
    }

    /// The server's certificate has to be one that a certificate in this file (PEM) vouches for.
    ///
    /// # Errors
    ///
    /// [`TlsError`] when the file has none.
    pub fn trusting_file(path: &Path) -> Result<Self, TlsError> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        let failed = |why: &dyn std::fmt::Display| TlsError(format!("{}: {why}", path.display()));
        let pem = fs::read(path).map_err(|error| failed(&error))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| failed(&error))?;
            roots.add(certificate).map_err(|error| failed(&error))?;
        }
        if roots.is_empty() {
            return Err(failed(&"holds no certificate"));
        }
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn connector(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new(ClientConfig::clone(&self.config))
    }
}

/// What would be right, where an error is about a server's certificate.
pub(crate) fn advice(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let error = match inner {
        Some(inner) => inner.downcast_ref(),
        None => error.downcast_ref(),
    };
    let rustls::Error::InvalidCertificate(wrong) = error? else { return None };
    Some(match wrong {
        // Authorities may have the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "none of the certificates that are trusted vouches for the server's; \
             name the file with the one that does (sslrootcert in the connection string)"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "connect to a name that stands in the server's certificate, or give the server one with this name"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => "give the server a certificate that is valid now",
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority as its own; \
             give it one that the authority has signed, or a self-signed one with basicConstraints CA:FALSE"
        }
        _ => return None,
    })
}
