fn main() { println!("seatledger"); }
