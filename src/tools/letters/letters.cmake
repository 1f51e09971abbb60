# lf-letters, the maker of the example's target task. It needs base and stb, and nothing of the engine.
add_executable(lf-letters
    src/tools/letters/main.c src/tools/letters/options.c src/tools/letters/fontset.c src/tools/letters/font.c
    src/tools/letters/render.c src/tools/letters/stb.c
    src/base/error.c src/base/file.c src/base/log.c src/base/mem.c src/base/rng.c)
target_include_directories(lf-letters PRIVATE include src SYSTEM PRIVATE ${STB_INCLUDE_DIR})
target_link_libraries(lf-letters PRIVATE m)

# Reported as skipped where no fonts are installed.
add_test(NAME letters COMMAND ${PROJECT_SOURCE_DIR}/tests/cli/letters.sh $<TARGET_FILE:lf-letters>)
set_tests_properties(letters PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120)
