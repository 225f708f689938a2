# acme_module(<name> SOURCES <file>... [USES <module>...] [LIBRARIES <target>...])
#
# One static library for the folder that calls it. USES is the module's row of the layer table: the module sees the
# headers of these modules and of what they use in turn, and no others, since its include path is a tree of links
# made for it alone. LIBRARIES are third-party targets, private to the module. tests/layering_test.cc checks the
# rest of the table: direct includes, and who may name which third-party header.
function(acme_module name)
  cmake_parse_arguments(PARSE_ARGV 1 MODULE "" "" "SOURCES;USES;LIBRARIES")
  set(target acme_${name})
  add_library(${target} STATIC ${MODULE_SOURCES})

  file(RELATIVE_PATH folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(visible "${folder}")
  foreach(used IN LISTS MODULE_USES)
    if(NOT TARGET acme_${used})
      message(FATAL_ERROR "${name} uses ${used}, which stands above it or does not exist (ARCHITECTURE.md, Layers)")
    endif()
    get_target_property(used_visible acme_${used} ACME_VISIBLE)
    list(APPEND visible ${used_visible})
  endforeach()
  list(REMOVE_DUPLICATES visible)
  set_target_properties(${target} PROPERTIES ACME_VISIBLE "${visible}")

  set(view "${PROJECT_BINARY_DIR}/include/${name}")
  file(REMOVE_RECURSE "${view}")
  foreach(seen IN LISTS visible)
    get_filename_component(parent "${view}/${seen}" DIRECTORY)
    file(MAKE_DIRECTORY "${parent}")
    file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${seen}" "${view}/${seen}" SYMBOLIC)
  endforeach()
  target_include_directories(${target} PRIVATE "${view}")

  list(TRANSFORM MODULE_USES PREPEND acme_ OUTPUT_VARIABLE used_targets)
  target_link_libraries(${target} PUBLIC ${used_targets} PRIVATE acme_flags ${MODULE_LIBRARIES})
  acme_precompiled(${target})
endfunction()
