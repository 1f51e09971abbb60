# lf-letters, the maker of the example's target task. It needs base and stb, and nothing of the engine.
add_executable(lf-letters
    src/examples/letters/main.c src/examples/letters/options.c src/examples/letters/fontset.c src/examples/letters/font.c
    src/examples/letters/render.c src/examples/letters/stb.c
    src/base/error.c src/base/file.c src/base/log.c src/base/mem.c src/base/plain.c src/base/rng.c src/base/string.c src/base/terminal.c
    src/base/utf8.c)
target_include_directories(lf-letters PRIVATE include src SYSTEM PRIVATE ${STB_INCLUDE_DIR})
target_link_libraries(lf-letters PRIVATE m PkgConfig::UTF8PROC)

# Reported as skipped where no fonts are installed.
add_test(NAME letters COMMAND ${PROJECT_SOURCE_DIR}/tests/cli/letters.sh $<TARGET_FILE:lf-letters>)
set_tests_properties(letters PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
