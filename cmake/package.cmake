# Packages: `cpack --config build/CPackConfig.cmake -B packages` makes calvaria-infer (the restoring program alone, no training, no web, no MPI),
# calvaria (everything else; needs the first), libcalvaria1 and libcalvaria-dev. Dependencies are what the programs link, found by dpkg-shlibdeps.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "calvaria")
set(CPACK_PACKAGE_CONTACT "the calvaria authors <calvaria@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL infer calvaria library dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_INFER_PACKAGE_NAME calvaria-infer)
set(CPACK_DEBIAN_CALVARIA_PACKAGE_NAME calvaria)
set(CPACK_DEBIAN_CALVARIA_PACKAGE_DEPENDS "calvaria-infer (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_CALVARIA_PACKAGE_RECOMMENDS "gnuplot-nox")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME libcalvaria${CALVARIA_SOVERSION})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "calvaria-infer (= ${PROJECT_VERSION})") # the default model
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libcalvaria-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libcalvaria${CALVARIA_SOVERSION} (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_INFER_DESCRIPTION
    "Restores defective skulls with a trained model: completed skull, implant, mesh, report. Research software, not for clinical use.")
set(CPACK_COMPONENT_CALVARIA_DESCRIPTION
    "Trains networks that restore skulls, synthesizes defects, evaluates, exports, serves the web page. Research software, not for clinical use.")
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
    "Shared library that restores defective skulls in a program's memory. Research software, not for clinical use.")
set(CPACK_COMPONENT_DEV_DESCRIPTION
    "Header, static library, pkg-config and CMake files of libcalvaria. Research software, not for clinical use.")
include(CPack)
