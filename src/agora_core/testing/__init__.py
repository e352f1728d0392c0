"""What tests of pipelines and plugins need: clocks, a virtual-time loop, and the contracts of the ports."""
