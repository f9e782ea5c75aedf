//! Standard output by WASI's own calls, without what the standard library does to keep to their contract.

use std::process::ExitCode;

#[allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package guest:output;
            world guest { import wasi:cli/stdout@0.2.12; }
            package wasi:io@0.2.12 {
                interface error { resource error; }
                interface streams {
                    use error.{error};
                    variant stream-error { last-operation-failed(error), closed }
                    resource output-stream {
                        write: func(contents: list<u8>) -> result<_, stream-error>;
                    }
                }
            }
            package wasi:cli@0.2.12 {
                interface stdout {
                    use wasi:io/streams@0.2.12.{output-stream};
                    get-stdout: func() -> output-stream;
                }
            }
        ",
        world: "guest:output/guest",
        generate_all,
    });
}

/// Writes without ever asking how much may be written, until it is refused. It takes a handle of its own each time, as
/// if each had a right of its own.
pub(crate) fn write_without_asking() -> ExitCode {
    let piece = vec![b'x'; 32 << 10];
    for _ in 0..1_000 {
        if bindings::wasi::cli::stdout::get_stdout().write(&piece).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
