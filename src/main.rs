//! The program `seatledger`. Here: the way into the command line. Not here: anything that a test would want to call.

fn main() {
    println!("seatledger");
}
