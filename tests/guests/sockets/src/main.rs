//! An app that calls WASI's network by itself. Such a component has imports that the world of apps does not have.

#[allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package guest:network;
            world guest { import wasi:sockets/instance-network@0.2.12; }
            package wasi:sockets@0.2.12 {
                interface network { resource network; }
                interface instance-network {
                    use network.{network};
                    instance-network: func() -> network;
                }
            }
        ",
        world: "guest:network/guest",
        generate_all,
    });
}

fn main() {
    let _network = bindings::wasi::sockets::instance_network::instance_network();
    println!("reached the network");
}
