//! What this service seals in a TPM, opened by TCG's own software stack, and the other way round: what six commands written out
//! by hand make is what everybody else's make. Where that stack is, `cargo xtask test` builds this (the feature `tss`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "common/swtpm.rs"]
mod swtpm;

use keys_service::secret::Key;
use keys_service::tpm::{Tpm, TpmLock};
use swtpm::{Machine, Served, can_run};
use tss_esapi::Context;
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::AuthSession;
use tss_esapi::structures::{
    EccPoint, KeyedHashScheme, Private, Public, PublicBuilder, PublicEccParametersBuilder, PublicKeyedHashParameters,
    SensitiveData, SymmetricDefinitionObject,
};
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::{Marshall, UnMarshall};

/// The stack, which connects to a TPM by itself.
struct Stack(Context);

impl Stack {
    fn of(served: &Served) -> Stack {
        let address = format!("swtpm:host=127.0.0.1,port={}", served.port());
        let mut context = Context::new(address.parse::<TctiNameConf>().unwrap()).unwrap();
        context.set_sessions((Some(AuthSession::Password), None, None));
        Stack(context)
    }

    /// The key that all is under, described by this stack's words for it.
    fn primary(&mut self) -> KeyHandle {
        let attributes = ObjectAttributesBuilder::new()
            .with_fixed_tpm(true)
            .with_fixed_parent(true)
            .with_sensitive_data_origin(true)
            .with_user_with_auth(true)
            .with_no_da(true)
            .with_restricted(true)
            .with_decrypt(true)
            .build()
            .unwrap();
        let symmetric = SymmetricDefinitionObject::AES_128_CFB;
        let parameters =
            PublicEccParametersBuilder::new_restricted_decryption_key(symmetric, EccCurve::NistP256).build().unwrap();
        let public = PublicBuilder::new()
            .with_public_algorithm(PublicAlgorithm::Ecc)
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(attributes)
            .with_ecc_parameters(parameters)
            .with_ecc_unique_identifier(EccPoint::default())
            .build()
            .unwrap();
        self.0.create_primary(Hierarchy::Owner, public, None, None, None, None).unwrap().key_handle
    }

    fn open(&mut self, lock: &TpmLock) -> Vec<u8> {
        let primary = self.primary();
        let private = Private::try_from(lock.private().to_vec()).unwrap();
        let public = Public::unmarshall(lock.public()).unwrap();
        let object = self.0.load(primary, private, public).unwrap();
        self.0.unseal(object.into()).unwrap().to_vec()
    }

    fn seal(&mut self, secret: &[u8]) -> TpmLock {
        let primary = self.primary();
        let attributes = ObjectAttributesBuilder::new()
            .with_fixed_tpm(true)
            .with_fixed_parent(true)
            .with_user_with_auth(true)
            .with_no_da(true)
            .build()
            .unwrap();
        let public = PublicBuilder::new()
            .with_public_algorithm(PublicAlgorithm::KeyedHash)
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(attributes)
            .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
            .with_keyed_hash_unique_identifier(tss_esapi::structures::Digest::default())
            .build()
            .unwrap();
        let secret = SensitiveData::try_from(secret.to_vec()).unwrap();
        let made = self.0.create(primary, public, None, Some(secret), None, None).unwrap();
        TpmLock::new(made.out_public.marshall().unwrap(), made.out_private.to_vec()).unwrap()
    }
}

#[test]
fn the_stack_of_the_trusted_computing_group_opens_what_the_service_sealed() {
    if !can_run("the_stack_of_the_trusted_computing_group_opens_what_the_service_sealed") {
        return;
    }
    let (machine, key) = (Machine::new(), Key::random().unwrap());
    let lock = machine.start().tpm().seal(&key).unwrap();
    assert_eq!(Stack::of(&machine.serve()).open(&lock), key.as_bytes());
}

#[test]
fn the_service_opens_what_the_stack_of_the_trusted_computing_group_sealed() {
    if !can_run("the_service_opens_what_the_stack_of_the_trusted_computing_group_sealed") {
        return;
    }
    let (machine, key) = (Machine::new(), Key::random().unwrap());
    let lock = Stack::of(&machine.serve()).seal(key.as_bytes());
    assert_eq!(machine.start().tpm().open(&lock).unwrap().as_bytes(), key.as_bytes());
}
