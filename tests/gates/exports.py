"""What liblora_ft.so exports is what lora_ft.h declares, under the version of its ABI, and nothing else.
Arguments: the source tree, the library, nm, the compiler."""
import re
import subprocess
import sys


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def declared(root, compiler):
    """Names of the functions of the header, once its tables are written out."""
    text = run(compiler, "-E", "-P", f"-I{root}/include", f"{root}/include/lora_ft.h")
    while re.search(r"\{[^{}]*\}", text):
        text = re.sub(r"\{[^{}]*\}", "", text)
    names = set()
    for statement in text.split(";"):
        if not re.match(r"\s*typedef\b", statement):
            names.update(re.findall(r"\b(lf_\w+)\s*\((?!\s*\*)", statement))
    return names


def exported(library, nm):
    """{name: version} of what the library defines for others."""
    found = {}
    for line in run(nm, "-D", "--defined-only", "--with-symbol-versions", library).splitlines():
        _, kind, symbol = line.split()
        if kind != "A":  # the version itself
            name, _, version = symbol.partition("@@")
            found[name] = version
    return found


def soname(library):
    return re.search(r"SONAME\s+(\S+)", run("objdump", "-p", library)).group(1)


def main(root, library, nm, compiler):
    names, symbols, own = declared(root, compiler), exported(library, nm), soname(library)
    abi = re.fullmatch(r"liblora_ft\.so\.(\d+)", own)
    if len(names) < 40 or "lf_train" not in names or not abi:
        sys.exit(f"found {len(names)} functions in lora_ft.h, and a library called {own}; is declared() right?")
    faults = [f"{name} is declared in lora_ft.h and not exported" for name in sorted(names - set(symbols))]
    faults += [f"{name} is exported and not declared in lora_ft.h" for name in sorted(set(symbols) - names)]
    faults += [f"{name} has the version '{version}', and the library is {own}" for name, version in sorted(symbols.items())
               if version != f"LORA_FT_{abi.group(1)}"]
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
