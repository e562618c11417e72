# Runs at installation: rondo@.service.in with the program's path in it, once for each program.
set(RN_BIN "${CMAKE_INSTALL_PREFIX}/bin")
function(rn_unit RN_PROGRAM RN_DESCRIPTION RN_PAGES)
  configure_file("${RN_UNITS}/rondo@.service.in" "${RN_UNITS_MADE}/${RN_PROGRAM}@.service" @ONLY)
  file(INSTALL "${RN_UNITS_MADE}/${RN_PROGRAM}@.service" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
endfunction()
rn_unit(rondo-coordinator "Rondo coordinator"
        "# The tokenizer's expressions are interpreted then. A coordinator that judges adapters with `backend: cpu-bf16` needs a
# drop-in with MemoryDenyWriteExecute=no: oneDNN makes its kernels at run time.
MemoryDenyWriteExecute=yes")
rn_unit(rondo-trainer "Rondo trainer"
        "# No MemoryDenyWriteExecute: oneDNN (`backend: cpu-bf16`), CUDA and PCRE2 make code at run time.")
