"""From the blocks of a reply to what people see. Knows neither the CLI nor the kernel."""
