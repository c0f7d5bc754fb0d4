"""What every station uses and no station owns: errors, whole files, HDF5, devices, progress, provenance."""
