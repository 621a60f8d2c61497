"""The addresses that learning platforms launch: sign-ins, launches, our keys, registration, and the choice of links."""
