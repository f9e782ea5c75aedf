//! The names of the methods that a grant may be limited to, as people write them: `Directory.list`.

use vat::Method;
use vat::names::{INTERFACES, interface};

/// `Directory.list`; `Directory.*` stands for every method of that interface.
pub(crate) fn parse(text: &str) -> Result<Vec<Method>, String> {
    let (interface_name, method_name) = text
        .split_once('.')
        .ok_or_else(|| format!("`{text}` is not a method: write Interface.method, such as Directory.list"))?;
    let interface = grantable()
        .find(|interface| interface.name.eq_ignore_ascii_case(interface_name))
        .ok_or_else(|| format!("no interface `{interface_name}`; there are {}", interface_names()))?;
    let method = |ordinal: usize| Method { interface: interface.id, ordinal: ordinal as u16 };
    if method_name == "*" {
        return Ok((0..interface.methods.len()).map(method).collect());
    }
    let ordinal =
        interface.methods.iter().position(|name| name.eq_ignore_ascii_case(method_name)).ok_or_else(|| {
            format!("{} has no method `{method_name}`; it has {}", interface.name, interface.methods.join(", "))
        })?;
    Ok(vec![method(ordinal)])
}

/// An interface's name, or its id where this latch does not know it.
pub(crate) fn interface_name(id: u64) -> String {
    interface(id).map_or_else(|| format!("{id:#018x}"), |interface| interface.name.to_owned())
}

/// Sessions are no objects that a grant is on; an interface whose methods have no names cannot be limited by name.
fn grantable() -> impl Iterator<Item = &'static vat::names::Interface> {
    INTERFACES.iter().filter(|interface| !interface.methods.is_empty() && interface.name != "Session")
}

/// The interfaces that an app can be given objects of.
pub(crate) fn interface_names() -> String {
    grantable().map(|interface| interface.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use capnp::traits::HasTypeId as _;
    use schema::filesystem_capnp::file;

    /// The methods of an interface as its schema declares them.
    fn declared(schema: &str, interface: &str) -> Vec<String> {
        let start = schema.find(&format!("interface {interface} ")).unwrap();
        let body = &schema[start..start + schema[start..].find("\n}").unwrap()];
        let mut methods: Vec<(u16, String)> = body
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.trim().split_once(" @")?;
                let (ordinal, rest) = rest.split_once(' ')?;
                (rest.starts_with('(') && !name.starts_with('#')).then(|| (ordinal.parse().unwrap(), name.to_owned()))
            })
            .collect();
        methods.sort();
        methods.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn the_table_says_what_the_schemas_say() {
        let filesystem = include_str!("../../../../schema/filesystem.capnp");
        let stream = include_str!("../../../../schema/stream.capnp");
        let keys = include_str!("../../../../schema/keys.capnp");
        let storage = include_str!("../../../../schema/storage.capnp");
        for interface in grantable() {
            let schema = match interface.name {
                "ByteStream" => stream,
                "StoredDirectory" | "Reservation" | "Store" | "Caps" | "Export" => storage,
                "Signer" | "Unsealer" | "Keyring" => keys,
                _ => filesystem,
            };
            assert_eq!(declared(schema, interface.name), interface.methods, "{}", interface.name);
        }
    }

    #[test]
    fn names_and_numbers_agree() {
        let read = Method { interface: file::Client::TYPE_ID, ordinal: 1 };
        assert_eq!(parse("File.read"), Ok(vec![read]));
        assert_eq!(parse("file.READ"), Ok(vec![read]));
        assert_eq!(read.to_string(), "File.read");
        assert_eq!(parse("ByteStream.*").unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_a_method_is_named() {
        assert!(parse("read").unwrap_err().contains("Interface.method"));
        assert!(parse("Door.open").unwrap_err().contains("Directory, File"));
        assert!(parse("File.chmod").unwrap_err().contains("truncate"));
    }
}
